// The page's side: shows what the worker tells and passes on what the learner asks for. It computes nothing that takes time. The
// messages of both are described in worker.js, the curve is drawn by curve.js.
import { Curve } from "./curve.js";

/** @typedef {import("./worker.js").ToWorker} ToWorker */
/** @typedef {import("./worker.js").FromWorker} FromWorker */

const SAMPLES = ["arrow", "crescent", "cross", "disc", "heart", "hourglass", "ring", "square", "star", "triangle"];

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const curve = new Curve($("curve"));
let steps = 1;

/** @param {ToWorker} message */
const ask = (message) => worker.postMessage(message);

worker.addEventListener("message", (/** @type {MessageEvent<FromWorker>} */ { data }) => {
  if (data.kind === "begun") {
    steps = data.steps;
    curve.begin(steps);
    show("engine", data.engine);
    show("parameters", data.parameters.toLocaleString("en"));
    show("status", `Training on ${data.pictures.toLocaleString("en")} pictures …`);
  } else if (data.kind === "step") {
    curve.addLoss(data.step, data.loss);
    show("loss", data.loss.toFixed(3));
    show("speed", formatSpeed(data.picturesPerSecond));
    $("progress").value = data.step / steps;
  } else if (data.kind === "epoch") {
    curve.addAccuracy(data.step, data.accuracy);
    show("validation", percent(data.accuracy));
    show("status", `Epoch ${data.epoch} done …`);
  } else if (data.kind === "tested") {
    show("test", percent(data.accuracy));
    show("speed", formatSpeed(data.picturesPerSecond));
    end(
      `Trained in ${data.seconds.toFixed(1)} s; tested on ${data.pictures.toLocaleString("en")} pictures that it had never seen.`,
    );
  } else if (data.kind === "stopped") {
    end("Stopped. The net is as far as it got.");
  } else if (data.kind === "predicted") {
    showPredictions(data.predictions);
  } else if (data.kind === "note") {
    show("status", data.text);
  } else {
    fail(data.text);
    if (data.what === "training") end("Not trained.", false);
  }
});
worker.addEventListener("error", (event) => {
  fail(
    event.message ||
      "The worker's script could not be loaded: run npm install in the clone, and serve the clone's folder.",
  );
  end("Not trained.", false);
});

$("settings").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const number = (name) => Number(form.get(name));
  for (const id of ["engine", "parameters", "loss", "validation", "speed", "test"]) show(id, "–");
  show("status", "Starting …");
  $("error").hidden = true;
  $("result").hidden = true;
  $("progress").value = 0;
  setBusy(true);
  setClassify(false);
  const threads = form.get("threads") === "" ? null : number("threads");
  const sizes = { width: number("width"), pictures: number("pictures"), epochs: number("epochs") };
  ask({ kind: "train", backend: form.get("backend"), threads, ...sizes });
});
$("stop").addEventListener("click", () => {
  show("status", "Stopping …");
  ask({ kind: "stop" });
});
$("picture").addEventListener("change", ({ target }) => {
  if (target.files.length > 0) classify(target.files[0], target.files[0].name);
});

for (const name of SAMPLES) {
  const image = new Image();
  image.src = new URL(`../../weights/pictures/${name}.png`, import.meta.url).href;
  image.alt = name;
  const button = document.createElement("button");
  button.type = "button";
  button.disabled = true;
  button.append(image);
  button.addEventListener("click", async () => classify(await (await fetch(image.src)).blob(), `${name}.png`));
  $("samples").append(button);
}

const cores = navigator.hardwareConcurrency;
if (crossOriginIsolated) $("threads-hint").textContent = `WebAssembly computes with up to ${cores} threads here.`;
else {
  const command = document.createElement("code");
  command.textContent = "serve.js --isolate";
  const why = "WebAssembly computes with one thread here: the page comes without the headers that threads need. Use ";
  $("threads-hint").append(why, command, ".");
}

function classify(file, name) {
  URL.revokeObjectURL($("preview").src);
  $("preview").src = URL.createObjectURL(file);
  $("preview").alt = name;
  $("predictions").replaceChildren();
  $("result").hidden = false;
  $("error").hidden = true;
  ask({ kind: "classify", name, file });
}

function showPredictions(predictions) {
  const rows = predictions.map(({ label, probability }) => {
    const row = document.createElement("li");
    const bar = document.createElement("span");
    bar.style.width = percent(probability).replace(" ", "");
    row.append(span("label", label), span("bar", bar), span("share", percent(probability)));
    return row;
  });
  $("predictions").replaceChildren(...rows);
}

function span(className, ...content) {
  const element = document.createElement("span");
  element.className = className;
  element.append(...content);
  return element;
}

function end(text, usable = true) {
  show("status", text);
  setBusy(false);
  setClassify(usable);
}

function setBusy(busy) {
  $("choices").disabled = busy;
  $("start").disabled = busy;
  $("stop").disabled = !busy;
}

function setClassify(possible) {
  for (const control of [$("picture"), ...$("samples").querySelectorAll("button")]) control.disabled = !possible;
}

function fail(text) {
  $("error").textContent = text;
  $("error").hidden = false;
}

function show(id, text) {
  $(id).textContent = text;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function formatSpeed(picturesPerSecond) {
  return Math.round(picturesPerSecond).toLocaleString("en");
}
