// Payment methods are put in order by dragging their handle, with a mouse, a pen or a finger. The buttons beside it do the same.
(() => {
  "use strict";

  const form = document.getElementById("new-order");
  if (!form) return;
  const rows = () => [...document.querySelectorAll("tr[data-method]")];
  const names = () => rows().map((row) => row.dataset.method);

  const save = () => {
    for (const name of names()) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = "order";
      field.value = name;
      form.append(field);
    }
    form.requestSubmit();
  };

  // The row goes where the pointer is: before the first row whose middle lies below it.
  const follow = (row, y) => {
    const others = rows().filter((other) => other !== row);
    const next = others.find((other) => {
      const box = other.getBoundingClientRect();
      return y < box.top + box.height / 2;
    });
    if (next ? row.nextElementSibling !== next : row.nextElementSibling) row.parentNode.insertBefore(row, next || null);
  };

  for (const handle of document.querySelectorAll("[data-handle]")) {
    const row = handle.closest("tr");
    handle.hidden = false;
    handle.addEventListener("pointerdown", (down) => {
      if (down.button !== 0) return;
      down.preventDefault();
      const before = names();
      row.classList.add("is-dragged");
      // The document listens, not the handle: moving a row in the page would end a capture.
      const move = (event) => follow(row, event.clientY);
      const end = (event) => {
        document.removeEventListener("pointermove", move);
        document.removeEventListener("pointerup", end);
        document.removeEventListener("pointercancel", end);
        row.classList.remove("is-dragged");
        if (event.type === "pointercancel") for (const name of before) row.parentNode.append(rows().find((each) => each.dataset.method === name));
        else if (names().join() !== before.join()) save();
      };
      document.addEventListener("pointermove", move);
      document.addEventListener("pointerup", end);
      document.addEventListener("pointercancel", end);
    });
  }
})();
