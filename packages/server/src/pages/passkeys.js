/**
 * The only script of the pages: it hands what a form says to the browser's passkeys, and sends back what they answer.
 * Without it, or in a browser that lacks passkeys, its parts of the pages stay hidden and the rest works.
 */
(() => {
  const api = globalThis.PublicKeyCredential;
  if (api?.parseRequestOptionsFromJSON === undefined) return;
  const MINUTES = 60_000;
  /** Younger than a challenge may be. */
  const FRESH = 4 * MINUTES;

  /** What to ask for: it stands in the page, or is fetched when it is needed. */
  async function optionsOf(area) {
    const { options, optionsUrl } = area.dataset;
    if (options !== undefined) return JSON.parse(options);
    const reply = await fetch(optionsUrl, { method: "POST" });
    if (!reply.ok) throw new Error("no challenge");
    return (await reply.json()).options;
  }

  async function ask(area, more) {
    const options = await optionsOf(area);
    if (area.dataset.passkey === "create") {
      return navigator.credentials.create({ publicKey: api.parseCreationOptionsFromJSON(options), ...more });
    }
    return navigator.credentials.get({ publicKey: api.parseRequestOptionsFromJSON(options), ...more });
  }

  function send(area, credential) {
    const form = area.querySelector("form");
    form.elements.namedItem("passkey").value = JSON.stringify(credential.toJSON());
    form.submit();
  }

  /** The browser offers passkeys where the name is typed. Begun anew before its challenge is too old. */
  async function offer(area, state) {
    const field = document.querySelector('input[autocomplete="username"]');
    if (field === null || !(await api.isConditionalMediationAvailable?.())) return;
    field.autocomplete = "username webauthn";
    while (!state.isBusy) {
      const waiting = new AbortController();
      state.waiting = waiting;
      const timer = setTimeout(() => waiting.abort(), FRESH);
      try {
        const credential = await ask(area, { mediation: "conditional", signal: waiting.signal });
        if (credential !== null) return send(area, credential);
      } catch {
        // Too old, or the button was pressed instead; anything else would come again at once.
        if (!waiting.signal.aborted) return;
      } finally {
        clearTimeout(timer);
      }
    }
  }

  for (const area of document.querySelectorAll("[data-passkey]")) {
    const state = { isBusy: false, waiting: undefined };
    const problem = area.querySelector("[data-problem]");
    area.hidden = false;
    area.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      if (state.isBusy) return;
      state.isBusy = true;
      state.waiting?.abort();
      problem.hidden = true;
      try {
        send(area, await ask(area, {}));
      } catch {
        problem.hidden = false;
      }
      state.isBusy = false;
    });
    if (area.dataset.optionsUrl !== undefined) void offer(area, state);
  }
})();
