/** Gets the items of a stream. */
export interface IStreamSubscriber<T> {
  closed?: boolean;
  next(value: T): void;
  /** The stream has failed; nothing follows. */
  error(err: any): void;
  /** The stream is over; nothing follows. */
  complete(): void;
}

/** A stream that can be subscribed to. */
export interface IStreamResult<T> {
  subscribe(subscriber: IStreamSubscriber<T>): ISubscription<T>;
}

/** One subscription of a stream. */
export interface ISubscription<_T> {
  /** Ends it. The stream of a hub method is cancelled on the server when nobody is subscribed to it any more. */
  dispose(): void;
}

/** A stream that the application feeds; as an argument of a call it is uploaded. Keeps nothing for those to come. */
export class Subject<T> implements IStreamResult<T> {
  #observers: readonly IStreamSubscriber<T>[] = [];

  next(item: T): void {
    this.#each((observer) => observer.next(item));
  }

  error(err: any): void {
    this.#each((observer) => observer.error?.(err));
  }

  complete(): void {
    this.#each((observer) => observer.complete?.());
  }

  subscribe(observer: IStreamSubscriber<T>): ISubscription<T> {
    this.#observers = [...this.#observers, observer];
    return {
      dispose: () => {
        this.#observers = this.#observers.filter((other) => other !== observer);
      },
    };
  }

  #each(call: (observer: IStreamSubscriber<T>) => void): void {
    for (const observer of this.#observers) {
      call(observer);
    }
  }
}
