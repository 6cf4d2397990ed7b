#include "native/binding/promise_worker.h"

namespace ballast::binding {

Napi::Promise PromiseWorker::Wait(Napi::Env env, DeviceHandle device, std::uint64_t ticket,
                                  Napi::Value value) {
  auto* worker = new PromiseWorker(env, std::move(device), ticket);
  // References hold objects only, and what is no object needs no holding.
  if (value.IsObject()) worker->value_ = Napi::Persistent(value.As<Napi::Object>());
  const Napi::Promise promise = worker->deferred_.Promise();
  worker->Queue();
  return promise;
}

void PromiseWorker::Execute() {
  try {
    device_->Wait(ticket_);
  } catch (...) {
    error_ = std::current_exception();
  }
}

void PromiseWorker::OnOK() {
  if (!error_) {
    deferred_.Resolve(value_.IsEmpty() ? Env().Undefined() : Napi::Value(value_.Value()));
    return;
  }
  device_->Resume(ticket_);
  try {
    std::rethrow_exception(error_);
  } catch (const std::exception& error) {
    deferred_.Reject(ToJsError(Env(), error).Value());
  }
}

}  // namespace ballast::binding
