// What two people do with the page while its server comes and goes.
import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { assert } from "../../../bindings/web/test/lib/assert.mjs";
import { Person } from "./person.mjs";

const LIMIT = 200_000;

export const define = ({ test }, { demo, picture }) => {
  /** Two people in conversations without a past. */
  const two = async (world, conversation) => {
    const people = [];
    for (const name of ["alice", "bob"]) {
      const person = await Person.join(world, demo, name, people.length === 0);
      await person.front();
      await person.page.fill(".join input", conversation);
      await person.page.click(".join button");
      people.push(person);
    }
    const [alice, bob] = people;
    await alice.sees("bob", () => document.querySelector(".members").textContent === "alice, bob");
    return { alice, bob };
  };

  test("messages, edits, deletions and who is typing reach the other", async (world) => {
    const { alice, bob } = await two(world, "basics");
    await alice.say("Hello <b>Bob</b> 👋");
    await bob.reads(["Hello <b>Bob</b> 👋"]);
    await alice.write("I am wri");
    await bob.typing("alice is typing…");
    await alice.write("");
    await bob.typing("");
    await bob.say("Hi Alcie");
    await alice.reads(["Hello <b>Bob</b> 👋", "Hi Alcie"]);
    await bob.edit("Hi Alcie", "Hi Alice");
    await alice.reads(["Hello <b>Bob</b> 👋", "Hi Alice"]);
    await bob.delete("Hi Alice");
    await alice.reads(["Hello <b>Bob</b> 👋", "This message was deleted."]);
    await bob.page.close();
    await alice.sees("that bob left", () =>
      [...document.querySelectorAll(".notice")].some((notice) => notice.textContent === "bob left"),
    );
  });

  test("conversations do not mix, and say what is unread", async (world) => {
    const { alice, bob } = await two(world, "mixed");
    await bob.open("release");
    await alice.say("one");
    await alice.say("two");
    await bob.sees("two unread messages", () =>
      [...document.querySelectorAll(".conversations button")].some((button) => button.textContent === "mixed2"),
    );
    assert.deepEqual(await bob.texts(), []);
    await bob.open("mixed");
    await bob.reads(["one", "two"]);
  });

  test("a task is followed by what changes of it, by whoever looks", async (world) => {
    const { alice, bob } = await two(world, "tasks");
    await alice.start("Render");
    await alice.progress("Render trailer", 5);
    await bob.progress("Render trailer", 10);
    await alice.sees("changes", () => {
      const [, total, deltas] = /^(\d+) updates, (\d+) of them/.exec(document.querySelector(".updates").textContent) ?? [];
      return total > 3 && deltas > 2;
    });
    await bob.page.reload();
    await bob.progress("Render trailer", 15);
    await bob.front();
    await bob.page.click("[aria-label='Cancel Render trailer']");
    await alice.sees("who cancelled it", () =>
      [...document.querySelectorAll(".tasks .foot")].some((foot) => foot.textContent.startsWith("Cancelled by bob")),
    );
  });

  test(
    "while the server is dead the page says so, and afterwards every message is there once, in order",
    async (world) => {
      const { alice, bob } = await two(world, "outage");
      await alice.say("before");
      await bob.reads(["before"]);
      // These leave, and are never read: they are in flight when the server dies.
      await demo.halt();
      await alice.say("in flight 1");
      await alice.say("in flight 2");
      await alice.sees("that they are on their way", () =>
        document.querySelector(".outbox").textContent.startsWith("2 waiting") ||
        [...document.querySelectorAll(".delivery")].filter((state) => state.textContent === "Sending…").length === 2,
      );
      await demo.kill();
      await alice.state("Reconnecting");
      for (const n of [1, 2, 3]) await alice.say(`queued ${n}`);
      await alice.sees("what waits", () => /^[35] waiting to be sent, the oldest for /.test(document.querySelector(".outbox").textContent));
      await alice.sees("a reason", () => document.querySelector(".reason").textContent !== "");
      await alice.sees("the next attempt", () => /^attempt \d+ /.test(document.querySelector(".retry").textContent));
      assert.ok(!(await alice.status()).includes("Round trip"), "a round trip is shown without a connection");
      assert.deepEqual(
        (await alice.messages()).map(([, , delivery]) => delivery),
        ["sent", ...Array(5).fill("pending")],
      );
      await demo.startServer();
      const all = ["before", "in flight 1", "in flight 2", "queued 1", "queued 2", "queued 3"];
      await alice.state("Connected");
      // In the background attempts are rare; who looks at the page gets everything at once.
      await bob.front();
      await bob.state("Connected");
      await bob.reads(all);
      await alice.reads(all);
      assert.deepEqual(await bob.texts(), all);
      await alice.sees("an empty outbox", () => document.querySelector(".outbox").textContent === "Nothing waits to be sent");
    },
    { timeout: 90_000 },
  );

  test(
    "what waits outlives a reload, and what was said is still there",
    async (world) => {
      const { alice, bob } = await two(world, "reload");
      await alice.say("before");
      await bob.reads(["before"]);
      await alice.server("Kill");
      await alice.state("Reconnecting");
      await alice.say("written without a server");
      await alice.sees("that it is queued", () => document.querySelector(".message:last-child .delivery").textContent === "Queued");
      await alice.sees("that it waits", () => document.querySelector(".outbox").dataset.depth === "1");
      await alice.page.reload();
      await alice.open("reload");
      assert.deepEqual(await alice.messages(), [
        ["alice", "before", "sent"],
        ["alice", "written without a server", "pending"],
      ]);
      await alice.server("Start");
      await alice.state("Connected");
      await bob.front();
      await bob.reads(["before", "written without a server"]);
      await alice.reads(["before", "written without a server"]);
      // And nothing comes twice.
      await bob.say("I have it");
      await alice.reads(["before", "written without a server", "I have it"]);
      assert.equal((await bob.texts()).length, 3);
    },
    { timeout: 90_000 },
  );

  test("a picture", async (world) => {
    const { alice, bob } = await two(world, "launch");
    const page = alice.page;
    await page.setViewportSize({ width: 1280, height: 800 });
    await bob.say("The build is through. Shall we ship it today?");
    await alice.reads(["The build is through. Shall we ship it today?"]);
    await alice.say("Yes, as soon as the index is done.");
    await bob.say("I will watch the tasks from the train; my connection comes and goes.");
    await alice.say("No problem, nothing gets lost.");
    await alice.start("Train");
    await alice.start("Index");
    await alice.start("Render");
    await alice.progress("Render trailer", 30);
    await bob.write("Then I will write the announce");
    await alice.typing("bob is typing…");
    await alice.sees("a round trip", () => /^Round trip \d+ ms, good$/.test(document.querySelector(".quality").textContent));
    await alice.front();
    await page.mouse.move(640, 10);
    await alice.typing("bob is typing…");
    mkdirSync(dirname(picture), { recursive: true });
    await page.screenshot({ path: picture });
    const { size } = statSync(picture);
    assert.ok(size > 20_000 && size < LIMIT, `the picture has ${size} bytes`);
  });
};
