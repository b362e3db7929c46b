type Child = Node | string | null | undefined | false;
type Props<E> = { [K in keyof Omit<E, "attributes">]?: E[K & keyof E] } & {
  readonly attributes?: Readonly<Record<string, string>>;
};

/** An element with properties, attributes and children. Texts are texts: nothing is read as HTML. */
export const el = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Props<HTMLElementTagNameMap[K]> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] => {
  const { attributes, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.entries(attributes ?? {}).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...children.filter((child): child is Node | string => !!child));
  return element;
};

/** Sets a text only if it is another one, so that screen readers do not read it again. */
export const setText = (element: HTMLElement, text: string): void => {
  if (element.textContent !== text) {
    element.textContent = text;
  }
};

/** One element of a list, and how it follows what it shows. */
export interface Row<T> {
  readonly element: HTMLElement;
  update(item: T): void;
}

/** Shows a list; elements stay as long as their key does, with their focus and what is typed into them. */
export const makeList = <T>(
  parent: HTMLElement,
  key: (item: T) => string,
  make: (item: T) => Row<T>,
): ((items: readonly T[]) => void) => {
  const rows = new Map<string, Row<T>>();
  return (items) => {
    const keys = new Set(items.map(key));
    for (const [old, { element }] of rows) {
      if (!keys.has(old)) {
        element.remove();
        rows.delete(old);
      }
    }
    let next = parent.firstElementChild;
    for (const item of items) {
      let row = rows.get(key(item));
      if (!row) {
        row = make(item);
        rows.set(key(item), row);
      }
      row.update(item);
      if (row.element === next) {
        next = next.nextElementSibling;
      } else {
        parent.insertBefore(row.element, next);
      }
    }
  };
};

/** `1.5 s`, `2 min`: how long, for people. */
export const duration = (milliseconds: number): string => {
  const seconds = Math.max(0, milliseconds) / 1_000;
  return seconds < 10
    ? `${seconds.toFixed(1)} s`
    : seconds < 100
      ? `${Math.round(seconds)} s`
      : `${Math.round(seconds / 60)} min`;
};

/** A colour for a name, always the same. */
export const hue = (name: string): string =>
  String([...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)!) % 360, 7));
