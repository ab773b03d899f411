// A Web Worker that trains as the page does: the engine needs no document. Its address says how many threads there are: ?threads=2.
import * as verydeep from "../../dist/browser.js";
import { trainTiny } from "./tiny-training.js";

const threads = Number(new URL(location.href).searchParams.get("threads") ?? 1);
trainTiny(verydeep, "plain", threads).then(postMessage, (error) => postMessage(String(error)));
