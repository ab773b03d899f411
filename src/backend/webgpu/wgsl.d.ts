/** Kernels' sources: the build writes `name.wgsl` as a module that exports its text. */
declare module "*.wgsl.js" {
  const source: string;
  export default source;
}
