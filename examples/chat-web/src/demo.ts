/** What the demo program offers besides the hubs. */

/** Tells it that a request is from its own page: other sites cannot send this header. */
const OWN_PAGE = { headers: { "x-hubwire-demo": "1" } };

const checked = async (response: Response): Promise<Response> => {
  if (!response.ok) {
    throw new Error((await response.text()).trim() || `${response.status} ${response.statusText}`);
  }
  return response;
};

/** Where the hubs are. */
export const hubsUrl = async (): Promise<string> => {
  const { hubs } = (await (await checked(await fetch("config.json"))).json()) as { hubs: string };
  return hubs;
};

/** A token for development, for any name. */
export const token = async (user: string): Promise<string> =>
  (await checked(await fetch(`token?user=${encodeURIComponent(user)}`, { method: "POST", ...OWN_PAGE }))).text();

/** Whether the process of the server runs. */
export const serverRuns = async (): Promise<boolean> => {
  const { process } = (await (await checked(await fetch("server"))).json()) as { process: number | null };
  return process !== null;
};

export const killServer = async (): Promise<void> => {
  await checked(await fetch("server/kill", { method: "POST", ...OWN_PAGE }));
};

export const startServer = async (): Promise<void> => {
  await checked(await fetch("server/start", { method: "POST", ...OWN_PAGE }));
};
