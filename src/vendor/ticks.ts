/** Third-party code for charts, bundled at build time (scripts/build.js): round numbers for axes, from d3-array. */
export { nice, ticks } from "d3-array";
