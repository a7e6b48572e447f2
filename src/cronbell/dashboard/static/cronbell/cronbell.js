// What the pages do beyond HTML: live update while the tab is seen, the run-now dialog, and
// telling the server the viewer's time zone. Without this file every page still works.
(() => {
  "use strict";
  const POLL_MILLISECONDS = 5000;
  const YEAR_SECONDS = 365 * 24 * 3600;
  const VERSION_HEADER = "X-Cronbell-Version";
  let version = "";

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
    // Rows must not be exchanged under somebody who has opened or marked one.
    const selection = document.getSelection();
    return (
      document.querySelector("#log details[open], dialog[open]") !== null ||
      (selection !== null && !selection.isCollapsed)
    );
  }

  function poll() {
    if (document.visibilityState !== "visible" || busyReading()) {
      return;
    }
    for (const part of document.querySelectorAll("#log, #run[hx-get]")) {
      window.htmx.trigger(part, "cronbell-poll");
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const changed = reportZone();
    if (!window.htmx) {
      return;
    }
    const dialog = document.getElementById("dialog");
    const body = document.body;
    body.addEventListener("htmx:configRequest", (event) => {
      if (event.detail.target.id === "log" && version) {
        event.detail.headers[VERSION_HEADER] = version;
      }
    });
    body.addEventListener("htmx:afterRequest", (event) => {
      const sent = event.detail.xhr && event.detail.xhr.getResponseHeader(VERSION_HEADER);
      version = sent || version;
    });
    body.addEventListener("htmx:afterSwap", (event) => {
      if (dialog && event.detail.target.id === "dialog-body") {
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
