// A Web Worker that decodes a picture as the page does: no document is needed.
import { decodePicture } from "../../dist/browser.js";

addEventListener("message", async ({ data }) => {
  const { width, height, pixels } = await decodePicture(data);
  postMessage({ width, height, pixels: [...pixels] });
});
