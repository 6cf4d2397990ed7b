# The CUDA backend is a sibling shared library, `ballast-cuda.so`, found at run time: the addon never links to it and loads
# without it. AUTO builds it where there is a CUDA compiler, ON insists on one, OFF never builds it.
set(BALLAST_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE BALLAST_CUDA PROPERTY STRINGS AUTO ON OFF)
# `portable` is one compilation, code for compute capability 8.0 that every later driver translates for its GPU when it
# first meets it; `all` is what packages are published with; anything else is a list as CMAKE_CUDA_ARCHITECTURES takes it.
set(BALLAST_CUDA_ARCHITECTURES portable CACHE STRING "GPUs to compile for: portable, all or a list such as 90a-real")

if(BALLAST_CUDA_ARCHITECTURES STREQUAL "portable")
  set(BALLAST_CUDA_TARGETS 80)
elseif(BALLAST_CUDA_ARCHITECTURES STREQUAL "all")
  set(BALLAST_CUDA_TARGETS 80 90a-real 90-virtual)
else()
  set(BALLAST_CUDA_TARGETS ${BALLAST_CUDA_ARCHITECTURES})
endif()

if(BALLAST_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know that nvcc 12 has it
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    add_subdirectory(cuda)
  elseif(NOT BALLAST_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "Expected a CUDA compiler for BALLAST_CUDA=${BALLAST_CUDA} but found no nvcc: put it on the PATH.")
  endif()
endif()
