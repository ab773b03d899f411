// The child's side of the benchmark: one process per engine, which prepares its net, says so, and then runs once
// whenever vgg16.js asks. Between requests it sleeps on the pipe, so that it takes nothing from the others.

/**
 * `prepare({ threads })` resolves to {version, threads, detail, run}: `run()` does one forward pass and resolves to
 * the 1000 logits as a Float32Array in JavaScript's memory. Only `run` is timed.
 */
export function serve(prepare) {
  const fail = (error) => process.send({ error: String(error?.stack ?? error) }, () => process.exit(1));
  process.on("disconnect", () => process.exit(0));
  prepare({ threads: Number(process.argv[2]) })
    .then(({ version, threads, detail, run }) => {
      process.on("message", ({ wantLogits }) => {
        const begin = performance.now();
        run().then((logits) => {
          const timeMs = performance.now() - begin;
          const peakRssMb = process.resourceUsage().maxRSS / 1024;
          process.send({ timeMs, peakRssMb, logits: wantLogits ? Array.from(logits) : undefined });
        }, fail);
      });
      process.send({ version, threads, detail });
    })
    .catch(fail);
}
