// Small comforts. Every page works without them.
(() => {
  "use strict";

  // A form that takes money is pressed once. The server refuses the second press anyway; this spares people the question.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-once]")) return;
    if (form.dataset.pressed) {
      event.preventDefault();
      return;
    }
    form.dataset.pressed = "1";
    const button = event.submitter || form.querySelector("[type=submit]");
    // After this turn, so that the button's own name and value still travel.
    setTimeout(() => {
      if (!button) return;
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      if (button.dataset.busy) {
        button.dataset.ready = button.textContent;
        button.textContent = button.dataset.busy;
      }
    });
  });

  // Coming back with the browser's back button: the form may be used again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-pressed]")) {
      delete form.dataset.pressed;
      for (const button of form.querySelectorAll("[aria-busy]")) {
        button.disabled = false;
        button.removeAttribute("aria-busy");
        if (button.dataset.ready) button.textContent = button.dataset.ready;
      }
    }
  });

  // Menus close when one presses elsewhere or Escape.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.drop[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.drop[open]")) {
      const inside = menu.contains(document.activeElement);
      menu.open = false;
      if (inside) menu.querySelector("summary").focus();
    }
  });

  // Copy buttons appear only where copying is possible.
  const prepare = (root) => {
    for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard;
    for (const button of root.querySelectorAll("button[data-dismiss]")) button.hidden = false;
  };
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("button[data-copy]");
    if (copy) {
      const said = copy.parentElement.querySelector("[role=status]");
      try {
        await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent.trim());
        said.textContent = "Copied";
      } catch {
        said.textContent = "Select it and copy by hand";
      }
      setTimeout(() => (said.textContent = ""), 4000);
    }
    const dismiss = event.target.closest("button[data-dismiss]");
    if (dismiss) dismiss.closest(".notice").remove();
    const print = event.target.closest("button[data-print]");
    if (print) window.print();
  });

  // A form with errors: the summary is read first.
  const summary = document.querySelector(".form-errors");
  if (summary) summary.focus();

  // A passkey that the browser would not give: say why, in the page's words.
  document.addEventListener("allauth.error", (event) => {
    const said = document.querySelectorAll("#passkey-problem [data-error]");
    if (!said.length) return;
    event.preventDefault();
    const name = event.detail.exception.name;
    const fitting = [...said].find((each) => each.dataset.error === name) || said[said.length - 1];
    for (const each of said) each.hidden = each !== fitting;
  });
  for (const link of document.querySelectorAll("a[data-localhost]")) {
    const here = new URL(location.href);
    here.hostname = "localhost";
    link.href = here.href;
  }

  prepare(document);
  document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));
})();
