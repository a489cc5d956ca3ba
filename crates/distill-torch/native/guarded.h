// How every C function here ends: 0, or 1 after an exception, whose text distill_last_error() then holds.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

namespace distill {

std::string& last_error();

template <typename F>
int guarded(F&& body) {
  try {
    body();
    return 0;
  } catch (const c10::Error& error) {
    last_error() = error.what_without_backtrace();
  } catch (const std::exception& error) {
    last_error() = error.what();
  } catch (...) {
    last_error() = "unknown C++ exception";
  }
  return 1;
}

// What the body answers: 1 for yes, 0 for no and after an exception.
template <typename F>
int guarded_answer(F&& body) {
  bool yes = false;
  guarded([&] { yes = body(); });
  return yes ? 1 : 0;
}

}  // namespace distill
