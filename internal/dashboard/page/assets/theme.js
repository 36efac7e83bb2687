// Sets the colours that were chosen before anything is drawn.
"use strict";
try {
  const chosen = localStorage.getItem("mraws.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage is off: the scheme of the system it is */ }
