import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import "./second-step.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { TestRequest } from "./test-issuer.ts";
import { createWorld, lostReply, type Network, offline, signIn, type Tab, type World } from "./test-world.ts";

/** What a server, a proxy or an attacker may answer where a second factor is asked for. */

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });
const ticket = "ktt_a-ticket-that-nobody-may-see";
const required = {
  error: "second_factor_required",
  error_description: "One more.",
  ticket,
  methods: ["totp"],
};

/** A Keyturn that asks for more after the password, and takes one code. */
function askingForMore(world: World, refusal: unknown = required) {
  const seen: TestRequest[] = [];
  const network: Network = async (request, deliver) => {
    seen.push(request);
    const { pathname } = request.url;
    if (pathname === "/login") return json(401, refusal);
    if (pathname === "/login/second-factor") {
      if (request.json.ticket !== ticket) return json(401, { error: "invalid_ticket" });
      if (request.json.code !== "123456") return json(401, { error: "wrong_code", ticket });
      const login = {
        ...request,
        url: new URL("/login", request.url),
        json: { username: "alice", password: "right" },
      };
      return deliver(login);
    }
    if (pathname === "/login/enrolment") return json(200, { secret: 7 });
    return deliver(request);
  };
  world.network = network;
  return { seen, network };
}

async function refused(world: World, { client }: Tab): Promise<KeyturnError> {
  const error = await world.timeline.run(client.signIn({ username: "alice", password: "right" })).then(
    () => undefined,
    (reason) => reason,
  );
  assert.ok(error instanceof KeyturnError);
  return error;
}

describe("the second step", () => {
  test("arrives in this tab and the others, in place of who was here, whose session is ended", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab, "bob");
    askingForMore(world);
    const { secondStep } = await refused(world, tab);
    assert.equal(
      (await world.timeline.run(tab.client.session()))?.user.username,
      "bob",
      "nobody has left yet",
    );
    await assert.rejects(world.timeline.run(secondStep?.code("000000") as Promise<unknown>), {
      code: "wrong_code",
    });
    const session = await world.timeline.run(
      secondStep?.code("123456") as Promise<{ user: { username: string } }>,
    );
    assert.equal(session.user.username, "alice");
    assert.deepEqual(tab.events, ["signedIn bob", "signedIn alice"]);
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal(world.issuer.sessions.get("s0")?.endReason, "revoked");
  });

  test("without a network, or when the answer is lost, it can be tried again", async () => {
    const world = createWorld();
    const tab = world.openTab();
    const { network } = askingForMore(world);
    const { secondStep } = await refused(world, tab);
    for (const broken of [offline, lostReply]) {
      world.network = broken;
      await assert.rejects(world.timeline.run(secondStep?.code("123456") as Promise<unknown>), {
        code: "unavailable",
      });
    }
    world.network = network;
    await world.timeline.run(secondStep?.code("123456") as Promise<unknown>);
    assert.equal(await world.whoAmI(tab.client), "alice");
  });

  test("what says that a second factor is wanted and has no ticket is a refusal like any other", async () => {
    for (const wrong of [undefined, null, 7, "", { toString: "x" }, ["x"]]) {
      const world = createWorld();
      askingForMore(world, { ...required, ticket: wrong });
      const error = await refused(world, world.openTab());
      assert.deepEqual(
        [error.code, error.secondStep],
        ["second_factor_required", undefined],
        JSON.stringify(wrong),
      );
    }
  });

  test("methods that nobody knows are left out, and answers of another shape are none of Keyturn's", async () => {
    for (const methods of [undefined, "totp", [7, null, "magic", "passkey"], { length: 9 }]) {
      const world = createWorld();
      askingForMore(world, { ...required, methods });
      const { secondStep } = await refused(world, world.openTab());
      assert.deepEqual(secondStep?.methods, Array.isArray(methods) ? ["passkey"] : []);
      await assert.rejects(world.timeline.run(secondStep?.enrol() as Promise<unknown>), {
        code: "unavailable",
      });
    }
  });

  test("no error and no log of one holds the ticket, whatever the server writes", async () => {
    const world = createWorld();
    const chatty = { ...required, error_description: `Use ${ticket}.`, reason: ticket, hint: ticket };
    askingForMore(world, chatty);
    const error = await refused(world, world.openTab());
    const wrong = await world.timeline
      .run(error.secondStep?.code("000000") as Promise<unknown>)
      .catch((reason) => reason);
    for (const one of [error, wrong, error.secondStep]) {
      const written = inspect(one, { depth: 9, showHidden: true }) + JSON.stringify(one) + String(one);
      assert.ok(!written.includes(ticket), written);
      assert.equal((one as { cause?: unknown }).cause, undefined);
    }
  });
});
