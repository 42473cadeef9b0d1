/**
 * OAuth 2.0 Form Post Response Mode §2: the answer is "auto-submitted in the User Agent". The page has a button for browsers
 * without scripts, and for whoever comes back to it: sending it by itself again would keep them from going further back.
 */
(() => {
  const [navigation] = performance.getEntriesByType("navigation");
  if (navigation?.type === "back_forward") return;
  document.querySelector("main form")?.submit();
})();
