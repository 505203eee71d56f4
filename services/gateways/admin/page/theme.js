// Light or dark as it was chosen in this browser. No module: those run when the first picture may be drawn already, in the wrong colours.

{
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* kept from pages: then the system decides */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
