/** Who wants to know when something has changed. */
export interface Changes {
  /** Calls `listener` at once, and after each change. */
  watch(listener: () => void): void;
  /** Says that something has changed. Several changes of one task of the browser are told once. */
  tell(): void;
}

export const makeChanges = (): Changes => {
  const listeners: (() => void)[] = [];
  let waiting = false;
  return {
    watch(listener) {
      listeners.push(listener);
      listener();
    },
    tell() {
      if (!waiting) {
        waiting = true;
        queueMicrotask(() => {
          waiting = false;
          listeners.forEach((listener) => listener());
        });
      }
    },
  };
};
