/** The address with one more parameter in its query. */
export const withParameter = (url: string, text: string): string => `${url}${url.includes("?") ? "&" : "?"}${text}`;
