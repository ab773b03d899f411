// A Web Worker that trains as the page does: the engine needs no document.
import * as verydeep from "../../dist/browser.js";
import { trainTiny } from "./tiny-training.js";

trainTiny(verydeep).then(postMessage, (error) => postMessage(String(error)));
