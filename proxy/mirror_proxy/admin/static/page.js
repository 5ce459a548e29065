// The page, live: takes the panels that the server sends, and asks it for changes. Without it the page is the same, still.
"use strict";

document.documentElement.classList.add("scripted");
const $ = (id) => document.getElementById(id);

// --- panels ---

// Make `old` like `fresh` and keep what can be kept, so that focus, edits and what a reader opened stay as they are.
// Children with a data-key are the same ones wherever they stand; others are the same at the same place.
function morph(old, fresh) {
  const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let here = old.firstChild;
  for (const want of [...fresh.childNodes]) {
    const key = keyOf(want);
    const same = key ? keyed.get(key) : here && !keyOf(here) && isLike(here, want) ? here : null;
    if (!same || !isLike(same, want)) {
      old.insertBefore(want, here);
      continue;
    }
    if (same === here) here = here.nextSibling;
    else old.insertBefore(same, here);
    if (same.nodeType === Node.ELEMENT_NODE) {
      copyAttributes(same, want);
      morph(same, want);
    } else if (same.nodeValue !== want.nodeValue) {
      same.nodeValue = want.nodeValue;
    }
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function isLike(one, other) {
  return one.nodeName === other.nodeName;
}

// What begins with data-js, and whether details are open, is the reader's. So is what was typed into a field: browsers
// show its attribute only until then, and again once its form is reset.
function copyAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open" && !name.startsWith("data-js")) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  }
}

function show(panels) {
  for (const [name, html] of Object.entries(panels)) {
    const panel = $(`panel-${name}`);
    if (!panel) continue;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    morph(panel, fresh.content);
  }
}

// --- the stream ---

let stream = null;

function follow() {
  if (stream || document.hidden) return;
  stream = new EventSource(`/events${location.search}`);
  stream.onmessage = (event) => {
    show(JSON.parse(event.data));
    tellLink("updating", "live");
  };
  stream.onerror = () => {
    const isRefused = stream.readyState === EventSource.CLOSED;
    tellLink(isRefused ? "not updating: too many pages are open, or the proxy is gone; trying again" : "not updating: trying again", "lost");
    if (isRefused) {
      stream = null;
      setTimeout(follow, 5000);
    }
  };
}

function tellLink(text, kind) {
  const link = $("link");
  if (link.textContent !== text) link.textContent = text;
  link.className = `link ${kind}`;
}

// A page nobody sees asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) follow();
  else if (stream) {
    stream.close();
    stream = null;
  }
});

// --- changes ---

const TOKEN = "mirror-proxy-token";

// Ask for a change, and for the token where that is wanted; tells what came of it, and returns whether it was done.
async function change(method, path, body, done) {
  say("", false);
  const answer = await ask(method, path, body);
  if (answer.status === 401 && (await askToken(sessionStorage.getItem(TOKEN) !== null))) return change(method, path, body, done);
  if (answer.error && answer.status !== 401) say(`Not changed: ${answer.error}`, true);
  else if (!answer.error) say(done, false);
  return !answer.error;
}

async function ask(method, path, body) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  try {
    const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const answer = await response.json().catch(() => ({}));
    return { status: response.status, error: response.ok ? "" : answer.error || `the proxy answered ${response.status}` };
  } catch {
    return { status: 0, error: "the proxy does not answer" };
  }
}

function say(text, isFailure) {
  const said = $("said");
  said.textContent = text;
  said.classList.toggle("failed", isFailure);
}

// Ask for the token; resolves to whether one was given.
function askToken(isWrong) {
  const dialog = $("token");
  const input = dialog.querySelector("input");
  $("token-why").textContent = `${isWrong ? "The token is not the right one. " : ""}It is kept until this tab is closed, and sent to this proxy only.`;
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const isGiven = dialog.returnValue === "use" && input.value !== "";
      if (isGiven) sessionStorage.setItem(TOKEN, input.value);
      else {
        sessionStorage.removeItem(TOKEN);
        say("Not changed: no token was given", true);
      }
      input.value = "";
      resolve(isGiven);
    }, { once: true });
  });
}

// Send a form's change, once at a time; what was applied is then what the form says when it is reset.
async function submit(form, path, body, done) {
  if ("jsBusy" in form.dataset) return;
  form.dataset.jsBusy = "";
  try {
    if (await change("PATCH", path, body, done)) {
      for (const input of form.querySelectorAll("input")) input.setAttribute("value", input.value);
      form.reset();
    }
  } finally {
    delete form.dataset.jsBusy;
  }
}

// For how long changes are to last, as the proxy is told and as people are.
const ttl = () => ($("ttl").value ? { ttl: $("ttl").value } : {});
const forSoLong = () => ($("ttl").value ? `, for ${$("ttl").selectedOptions[0].textContent}` : "");

// --- controls ---

const controls = $("panel-controls");

controls.addEventListener("input", ({ target }) => {
  const form = target.form;
  if (!form) return;
  if (form.classList.contains("percent")) {
    const other = target.name === "slider" ? form.elements.percent : form.elements.slider;
    other.value = target.value;
  }
  form.dataset.jsEdited = "";
});

controls.addEventListener("reset", ({ target }) => delete target.dataset.jsEdited);

controls.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const { mirror, route } = form.dataset;
  if (mirror !== undefined) {
    const percent = form.elements.percent.valueAsNumber;
    submit(form, "/mirrors", { mirror, percent, ...ttl() }, `${mirror} now gets ${percent} %${forSoLong()}`);
  } else {
    const inputs = [...form.querySelectorAll("input")];
    const weights = Object.fromEntries(inputs.map((input) => [input.name, input.valueAsNumber]));
    const said = inputs.map((input) => `${input.name} ${input.value}`).join(", ");
    submit(form, "/routes", { route, weights, ...ttl() }, `${route} is now shared out: ${said}${forSoLong()}`);
  }
});

controls.addEventListener("click", ({ target }) => {
  const button = target.closest("button[type=button]");
  if (!button) return;
  const { mirror, route } = button.form ? button.form.dataset : {};
  if ("weights" in button.dataset) {
    submit(button.form, "/routes", { route, weights: null }, `${route} has the file's weights again`);
  } else if ("percent" in button.dataset) {
    submit(button.form, "/mirrors", { mirror, percent: null }, `${mirror} has the file's percent again`);
  } else {
    const paused = button.dataset.paused === "true";
    const who = mirror === undefined ? "All mirrors are" : `${mirror} is`;
    const body = { ...(mirror === undefined ? {} : { mirror }), paused, ...(paused ? ttl() : {}) };
    change("PATCH", "/mirrors", body, paused ? `${who} paused: nothing is copied${forSoLong()}` : `${who} resumed`);
  }
});

const RAMPS = {
  go: ["PATCH", "", "goes on"],
  keep: ["DELETE", "&keep", "has stopped where it was"],
  stop: ["DELETE", "", "has stopped, and gone back to what was before"],
};

$("panel-ramps").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  const [method, more, done] = RAMPS[button.dataset.ramp];
  const of = button.parentElement.dataset;
  const named = "mirror" in of ? { mirror: of.mirror } : { route: of.route };
  const [name] = Object.values(named);
  const isGo = method === "PATCH";
  const path = isGo ? "/ramp" : `/ramp?${new URLSearchParams(named)}${more}`;
  change(method, path, isGo ? named : null, `The ramp of ${name} ${done}`);
});

follow();
