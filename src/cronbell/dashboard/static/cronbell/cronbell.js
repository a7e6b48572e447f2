// What the pages do beyond HTML: live update while the tab is seen, dialogs, counting down to the
// next fire, and telling the server the viewer's time zone. Without this file every page works.
(() => {
  "use strict";
  const POLL_MILLISECONDS = 5000;
  const YEAR_SECONDS = 365 * 24 * 3600;
  const VERSION_HEADER = "X-Cronbell-Version";
  const HOUR_SECONDS = 3600;
  const OUTLINE_AFTER_MILLISECONDS = 250;
  const versions = new Map();

  function fill(place, template) {
    place.replaceChildren(document.getElementById(template).content.cloneNode(true));
  }

  function reportZone() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone || document.cookie.split("; ").includes(`cronbell_tz=${zone}`)) {
      return false;
    }
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `cronbell_tz=${zone}; Path=/; Max-Age=${YEAR_SECONDS}; SameSite=Lax${secure}`;
    return true;
  }

  function busyReading() {
    // Nothing must be exchanged under somebody who has opened or marked it, or is writing in it.
    const selection = document.getSelection();
    const focus = document.activeElement;
    return (
      document.querySelector("[data-live] details[open], dialog[open]") !== null ||
      (selection !== null && !selection.isCollapsed) ||
      (focus !== null && focus.matches("[data-live] input"))
    );
  }

  function poll() {
    if (document.visibilityState !== "visible" || busyReading()) {
      return;
    }
    for (const part of document.querySelectorAll("[data-live][hx-get]")) {
      window.htmx.trigger(part, "cronbell-poll");
    }
  }

  function countDown() {
    // The server writes minutes; the last hour is counted in figures, the same in each language.
    if (document.visibilityState !== "visible") {
      return;
    }
    for (const timer of document.querySelectorAll("[data-until]")) {
      const seconds = Math.round((Date.parse(timer.dataset.until) - Date.now()) / 1000);
      if (seconds >= 0 && seconds < HOUR_SECONDS) {
        const rest = String(seconds % 60).padStart(2, "0");
        timer.textContent = `${Math.floor(seconds / 60)}:${rest}`;
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const changed = reportZone();
    const here = document.querySelector(".main-nav [aria-current]");
    if (here) {
      // On a phone the navigation is wider than the screen: where one is must be seen.
      here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2;
    }
    countDown();
    window.setInterval(countDown, 1000);
    if (!window.htmx) {
      return;
    }
    document.addEventListener("mouseover", (event) => {
      // What is cut is whole on hover, from the text itself: it is sent but once.
      const cut = event.target.closest(".clip summary");
      if (cut && !cut.title) {
        cut.title = cut.textContent;
      }
    });
    const dialog = document.getElementById("dialog");
    const body = document.body;
    body.addEventListener("htmx:configRequest", (event) => {
      if (event.detail.elt.matches("[data-live]")) {
        // What the viewer chose since the part was made is in the address.
        event.detail.path = location.pathname + location.search;
      }
      const known = versions.get(event.detail.target.id);
      if (known) {
        event.detail.headers[VERSION_HEADER] = known;
      }
    });
    body.addEventListener("htmx:afterRequest", (event) => {
      const sent = event.detail.xhr && event.detail.xhr.getResponseHeader(VERSION_HEADER);
      if (sent) {
        versions.set(event.detail.target.id, sent);
      }
    });
    body.addEventListener("htmx:afterSwap", countDown);
    let outline = 0;
    let asking = null;
    body.addEventListener("htmx:beforeRequest", (event) => {
      if (dialog && !dialog.open && event.detail.target.id === "dialog-body") {
        // A quick answer needs no outline; a slow one must show that the click was taken.
        window.clearTimeout(outline);
        const asked = event.detail.elt;
        outline = window.setTimeout(() => {
          asking = asked;
          fill(event.detail.target, "while-loading");
          dialog.showModal();
        }, OUTLINE_AFTER_MILLISECONDS);
      }
    });
    body.addEventListener("htmx:afterRequest", (event) => {
      if (event.detail.target.id === "dialog-body") {
        window.clearTimeout(outline);
        asking = null;
      }
      const lost = document.getElementById("lost");
      if (event.detail.successful && lost) {
        lost.remove();
      }
    });
    const sayLost = (template) => (event) => {
      if (dialog && event.detail.target.id === "dialog-body") {
        window.clearTimeout(outline);
        dialog.close();
      }
      const place = document.getElementById("notices") || document.getElementById("content");
      if (!document.getElementById("lost")) {
        place.prepend(document.getElementById(template).content.cloneNode(true));
      }
    };
    if (dialog) {
      dialog.addEventListener("close", () => {
        // Who closes the outline does not want what it stands for to open it again.
        if (asking) {
          window.htmx.trigger(asking, "htmx:abort");
          asking = null;
        }
      });
      body.addEventListener("htmx:sendError", sayLost("when-lost"));
      body.addEventListener("htmx:timeout", sayLost("when-lost"));
      body.addEventListener("htmx:responseError", sayLost("when-refused"));
    }
    body.addEventListener("htmx:afterSwap", (event) => {
      if (dialog && !dialog.open && event.detail.target.id === "dialog-body") {
        dialog.showModal();
      }
    });
    body.addEventListener("cronbell-close", () => dialog && dialog.close());
    body.addEventListener("click", (event) => {
      if (dialog && dialog.open && event.target.closest("[data-close]")) {
        event.preventDefault();
        dialog.close();
      }
    });
    document.addEventListener("click", (event) => {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        if (!menu.contains(event.target)) {
          menu.open = false;
        }
      }
    });
    document.addEventListener("keydown", (event) => {
      const menu = document.querySelector("details.menu[open]");
      if (event.key === "Escape" && menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    });
    document.addEventListener("visibilitychange", poll);
    window.setInterval(poll, POLL_MILLISECONDS);
    if (changed) {
      window.htmx.trigger(body, "cronbell-refresh");
    }
  });
})();
