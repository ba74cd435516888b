// Runs before the first paint. Keep the key and the values in step with src/shell/theme.ts.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem("oneinbox-theme");
  } catch {
    // Storage is switched off: follow the system.
  }
  const dark =
    choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
