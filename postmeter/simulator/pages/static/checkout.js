// A click on a test card fills in the form.
for (const choice of document.querySelectorAll("[data-card]")) {
  choice.addEventListener("click", () => {
    const fields = { number: choice.dataset.card.replace(/(.{4})(?=.)/g, "$1 "), expiry: "12 / 34", cvc: "123" };
    for (const [id, value] of Object.entries(fields)) document.getElementById(id).value = value;
    document.querySelector("form.card .main").focus();
  });
}
