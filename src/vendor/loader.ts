/** AssemblyScript's loader, bundled at build time (scripts/build.js): instantiates the kernels of assembly/. */
export { instantiateSync } from "@assemblyscript/loader";
