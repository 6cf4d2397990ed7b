# The CUDA backend is a sibling shared library, `ballast-cuda.so`, found at run time: the addon never links to it and loads
# without it. AUTO builds it where there is a CUDA compiler, ON insists on one, OFF never builds it.
set(BALLAST_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE BALLAST_CUDA PROPERTY STRINGS AUTO ON OFF)

if(BALLAST_CUDA AND EXISTS "${PROJECT_SOURCE_DIR}/cuda/CMakeLists.txt")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    add_subdirectory(cuda)
  elseif(NOT BALLAST_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "Expected a CUDA compiler for BALLAST_CUDA=${BALLAST_CUDA} but found no nvcc: put it on the PATH.")
  endif()
endif()
