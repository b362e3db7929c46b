export async function packaging() {}
