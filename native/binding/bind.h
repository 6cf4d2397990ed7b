// Turns a C++ function into a JavaScript one: converts arguments by their types, maps errors once.
#pragma once

#include <exception>
#include <new>
#include <utility>

#include "native/binding/convert.h"

namespace ballast::binding {

// The one error map: a JavaScript Error whose `code` is the native error's code.
Napi::Error ToJsError(Napi::Env env, const std::exception& error);

template <class Body>
Napi::Value Guard(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw ToJsError(env, error);
  }
}

// fn(device, args…) of any arity, where args are of types that convert.h reads.
template <class Result, class... Args, std::size_t... I>
Napi::Value CallOp(Result (*op)(Device&, Args...), const Napi::CallbackInfo& info,
                   std::index_sequence<I...>) {
  Device& device = *UnwrapDevice(info[0]);
  if constexpr (std::is_void_v<Result>) {
    op(device, FromJs(info[I + 1], As<std::remove_cvref_t<Args>>{})...);
    return info.Env().Undefined();
  } else {
    return ToJs(info.Env(), op(device, FromJs(info[I + 1], As<std::remove_cvref_t<Args>>{})...));
  }
}

template <auto Op>
struct Bound;

template <class Result, class... Args, Result (*Op)(Device&, Args...)>
struct Bound<Op> {
  static Napi::Value Call(const Napi::CallbackInfo& info) {
    return Guard(info.Env(), [&] { return CallOp(Op, info, std::index_sequence_for<Args...>{}); });
  }
};

template <auto Op>
void Define(Napi::Object& exports, const char* name) {
  exports.Set(name, Napi::Function::New<Bound<Op>::Call>(exports.Env(), name));
}

}  // namespace ballast::binding
