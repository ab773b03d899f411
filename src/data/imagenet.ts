/** The names of ImageNet's classes, for nets whose weights files have none. The names themselves: imagenet-names.ts. */

/**
 * The 1000 classes of ImageNet's challenge (ILSVRC 2012 to 2017) in the order of WordNet's ids, which is that of the outputs of all
 * public nets: 0 is `tench, Tinca tinca`. Each name lists its synonyms, the commonest first; two classes are both called `crane`: a bird
 * (134) and a machine (517).
 */
export async function imagenetNames(): Promise<readonly string[]> {
  const { IMAGENET_NAMES } = await import("./imagenet-names.js");
  return IMAGENET_NAMES.split("|");
}
