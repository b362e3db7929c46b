// Somebody with a window, who does and sees what people do and see.
import { AssertionError } from "../../../bindings/web/test/lib/assert.mjs";

const POLL = { polling: 50, timeout: 20_000 };

export class Person {
  #page;
  name;

  /** Opens a page and joins; `fresh` forgets what earlier pages have left behind. */
  static async join({ context, stray }, demo, name, fresh = false) {
    const person = new Person();
    const page = (person.#page = await context.newPage());
    person.name = name;
    stray.watch(page);
    await page.goto(demo.url);
    if (fresh) await page.evaluate(() => localStorage.clear());
    await page.fill("#name", name);
    await page.click(".login button");
    await person.state("Connected");
    return person;
  }

  get page() {
    return this.#page;
  }

  /** Waits until the page fulfils a condition: a function that runs in it. */
  async sees(what, condition, argument) {
    try {
      await this.#page.waitForFunction(condition, argument, POLL);
    } catch (error) {
      if (error.name !== "TimeoutError") throw error;
      const shown = await this.#page.evaluate(() => document.body.innerText);
      throw new AssertionError(`${this.name} does not see ${what}, but: ${shown.slice(0, 1_000)}`);
    }
  }

  state(state) {
    return this.sees(`the state ${state}`, (state) => document.querySelector(".state")?.textContent === state, state);
  }

  /** The status bar as text. */
  status() {
    return this.#page.evaluate(() =>
      Array.from(document.querySelectorAll(".statusbar > :not(button)"), (part) => part.textContent).join(" | "),
    );
  }

  /** In pages that nobody sees nothing is drawn, and nothing can be clicked. */
  front() {
    return this.#page.bringToFront();
  }

  async write(text) {
    await this.front();
    await this.#page.fill(".composer textarea", text);
  }

  async say(text) {
    await this.write(text);
    await this.#page.click(".composer button");
  }

  /** What is in the conversation that is open, as [user, text, state]. */
  messages() {
    return this.#page.evaluate(() =>
      Array.from(document.querySelectorAll(".message"), (row) => [
        row.querySelector("b").textContent,
        row.querySelector(".content").textContent,
        row.dataset.delivery,
      ]),
    );
  }

  async texts() {
    return (await this.messages()).map(([, text]) => text);
  }

  /** Waits until the conversation ends with these texts, all sent. */
  async reads(texts) {
    await this.sees(`the messages ${texts.join(", ")}`, (texts) => {
      const rows = [...document.querySelectorAll(".message")].slice(-texts.length);
      return (
        rows.length === texts.length &&
        rows.every(
          (row, at) =>
            row.dataset.delivery === "sent" && row.querySelector(".content").textContent === texts[at],
        )
      );
    }, texts);
  }

  typing(text) {
    return this.sees(`"${text}"`, (text) => document.querySelector(".typing").textContent === text, text);
  }

  #row(text) {
    return this.#page.locator(".message", { hasText: text });
  }

  async open(conversation) {
    await this.front();
    await this.#page.locator(".conversations button", { hasText: conversation }).click();
  }

  async edit(text, to) {
    await this.front();
    const row = this.#row(text);
    await row.hover();
    await row.getByRole("button", { name: "Edit" }).click();
    await this.#page.fill(".editor input", to);
    await this.#page.click(".editor button");
  }

  async delete(text) {
    await this.front();
    const row = this.#row(text);
    await row.hover();
    await row.getByRole("button", { name: "Delete" }).click();
  }

  /** Presses the button that kills the server, or starts it again. */
  async server(action) {
    await this.front();
    await this.#page.getByRole("button", { name: `${action} the server` }).click();
  }

  async start(kind) {
    await this.front();
    await this.#page.locator(".starters").getByRole("button", { name: kind }).click();
  }

  /** Waits until the bar of a task is that far. */
  progress(title, least) {
    return this.sees(`${title} at ${least} %`, ([title, least]) => {
      const bar = document.querySelector(`progress[aria-label="${title}"]`);
      return bar && bar.value >= least;
    }, [title, least]);
  }
}
