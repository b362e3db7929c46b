// What every project does with the package: connect, and get an answer. The page shows what came of it.
export async function main({ HubConnectionBuilder }, protocol) {
  const show = (result) => (document.documentElement.dataset.result = result);
  try {
    const builder = new HubConnectionBuilder().withUrl(new URLSearchParams(location.search).get("hub"));
    const connection = (protocol ? builder.withHubProtocol(protocol) : builder).build();
    await connection.start();
    const answer = await connection.invoke("Echo", { text: "héllo", list: [1, null] });
    await connection.stop();
    show(JSON.stringify(answer));
  } catch (error) {
    show(`${error?.name}: ${error?.message ?? error}`);
  }
}
