# Where `node_api.h` and `napi.h` lie: what cmake-js passes, or else what Node resolves from here. Both come from npm
# packages (node-api-headers, node-addon-api), so that a build never downloads the headers of Node itself.
if(CMAKE_JS_INC)
  set(BALLAST_NODE_API_INCLUDES ${CMAKE_JS_INC})
else()
  find_program(BALLAST_NODE NAMES node REQUIRED)
  execute_process(
    COMMAND "${BALLAST_NODE}" -p
            "[require('node-api-headers'), require('node-addon-api')].map((p) => path.resolve(p.include_dir)).join(';')"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    OUTPUT_VARIABLE BALLAST_NODE_API_INCLUDES
    OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE node_result)
  if(NOT node_result EQUAL 0)
    message(FATAL_ERROR "Expected the npm packages node-api-headers and node-addon-api in "
                        "${PROJECT_SOURCE_DIR}/node_modules: run `npm ci --ignore-scripts` first.")
  endif()
endif()

add_library(ballast_node_api INTERFACE)
target_include_directories(ballast_node_api SYSTEM INTERFACE ${BALLAST_NODE_API_INCLUDES})
target_compile_definitions(ballast_node_api INTERFACE NAPI_VERSION=8 NAPI_CPP_EXCEPTIONS)
