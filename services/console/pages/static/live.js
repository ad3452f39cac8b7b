// Keeps a page with something pending up to date. Without scripts, or when this fails, the page is as true as when it was loaded.
"use strict";

const PAUSE_MS = 2000;

function put(was, now) {
  for (const open of was.querySelectorAll("details[open][id]")) {
    now.querySelector("#" + open.id)?.setAttribute("open", "");
  }
  was.replaceChildren(...now.childNodes); // not the part itself: readers announce what changes in it
  if (now.dataset.live === undefined) delete was.dataset.live;
  else was.dataset.live = now.dataset.live;
}

// A part with a form (its data-live has a value) only changes when that value does: nobody loses what is being typed.
function differs(was, now) {
  if (was.dataset.live !== now.dataset.live) return true;
  return was.dataset.live === "" && was.innerHTML !== now.innerHTML;
}

async function look() {
  const answer = await fetch(location.href, {
    credentials: "same-origin",
    redirect: "error",
    headers: { "Hookline-Refresh": "1" }, // nobody uses the page just now: its session may end
  });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  for (const was of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(was.id);
    if (now && differs(was, now)) put(was, now);
  }
}

async function loop() {
  while (document.querySelector("[data-live]")) {
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
    if (document.hidden || !getSelection().isCollapsed) continue;
    try {
      await look();
    } catch {
      return; // signed out, or the console is away: a reload says which
    }
  }
}

loop();
