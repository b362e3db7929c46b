/** The whole address. What is not absolute is relative to the page, or to the script of a worker. */
export const resolveUrl = (url: string): string => {
  if (/^https?:\/\//.test(url)) {
    return url;
  }
  const { document, location } = globalThis;
  try {
    return new URL(url, document?.baseURI ?? location.href).href;
  } catch {
    throw new Error(`Cannot resolve '${url}'.`);
  }
};
