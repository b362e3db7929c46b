import { hubsUrl, token } from "./demo.js";
import { makeHubs } from "./hubs.js";
import { makeChat } from "./model/chat.js";
import { recall, recallUser, rememberUser } from "./model/memory.js";
import { makeStatus } from "./model/status.js";
import { makeTasks } from "./model/tasks.js";
import { el } from "./view/dom.js";
import { login } from "./view/login.js";
import { sidebar } from "./view/sidebar.js";
import { statusBar } from "./view/statusbar.js";
import { taskPanel } from "./view/taskpanel.js";
import { timeline } from "./view/timeline.js";

const root = document.getElementById("app")!;

const enter = async (user: string): Promise<void> => {
  const hubs = makeHubs(await hubsUrl(), user, recall(user)?.positions ?? []);
  const status = makeStatus(hubs.chat.connection);
  const tasks = makeTasks(hubs);
  const chat = makeChat(user, hubs.chat);
  const signOut = (): void => {
    rememberUser(null);
    // Connections end with the page; what waits stays in the outbox.
    location.reload();
  };
  root.replaceChildren(
    el("div", { className: "layout" }, sidebar(chat, signOut), timeline(chat), taskPanel(tasks), statusBar(status)),
  );
  hubs.connect();
};

const user = recallUser();
if (user) {
  await enter(user);
} else {
  login(root, async (name) => {
    // Refuses names that are not possible.
    await token(name);
    await enter(name);
    rememberUser(name);
  });
}
