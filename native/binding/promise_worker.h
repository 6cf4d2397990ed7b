// The one promise worker: waits on a libuv thread for a ticket of a queue (it never computes
// there), then settles the promise on the JavaScript thread.
#pragma once

#include <exception>
#include <functional>
#include <utility>

#include "native/binding/bind.h"

namespace ballast::binding {

class PromiseWorker final : public Napi::AsyncWorker {
 public:
  // `value` is what the promise resolves to; it is kept alive while the queue works.
  static Napi::Promise Wait(Napi::Env env, DeviceHandle device, std::uint64_t ticket,
                            Napi::Value value);

 private:
  PromiseWorker(Napi::Env env, DeviceHandle device, std::uint64_t ticket)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        device_(std::move(device)),
        ticket_(ticket) {}

  void Execute() override;
  void OnOK() override;

  Napi::Promise::Deferred deferred_;
  DeviceHandle device_;
  std::uint64_t ticket_;
  Napi::ObjectReference value_;
  std::exception_ptr error_;
};

}  // namespace ballast::binding
