/** Signals that end a server, as the originals take them. */

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGUSR1';

export interface ShutdownSignals {
  /** Called with the first signal, in the event loop's thread between two turns. */
  onSignal: (signal: StopSignal) => void;
  /** Asked with each further signal: false when the server goes on after all, so that it is a first one again. */
  isEnding?: () => boolean;
  /** Whether SIGUSR1 stops the server too (memcached's graceful stop). Default false. */
  isGracefulBySignal?: boolean;
  /**
   * Called when a second SIGINT comes while the shutdown is still under way: the user insists. The process then exits with code 1.
   * Good for a last log line and for removing temporary files; must not wait.
   */
  onInsist?: () => void;
  /** SIGHUP: files may have changed. Nothing happens without it. */
  onHangUp?: () => void;
}

/**
 * Listens for SIGTERM and SIGINT. SIGHUP does not end a server, which must outlive its terminal.
 * @returns a function that takes the listeners away again
 */
export function listenForShutdown(handlers: ShutdownSignals): () => void {
  let signalled = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!signalled || handlers.isEnding?.() === false) {
      signalled = true;
      handlers.onSignal(signal as StopSignal);
    } else if (signal === 'SIGINT') {
      handlers.onInsist?.();
      process.exit(1);
    }
  };
  const onHangUp = (): void => handlers.onHangUp?.();
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onHangUp);
  if (handlers.isGracefulBySignal) process.on('SIGUSR1', onSignal);
  return () => {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
    process.off('SIGHUP', onHangUp);
    process.off('SIGUSR1', onSignal);
  };
}
