/** Starts itself in the background. Arguments: pid file, good | bad | dead. */
const at = (path) => new URL(`../../../dist/engines/${path}`, import.meta.url).href;
const { daemonReady, isDaemon, startDaemon } = await import(at('servers/daemon.js'));
const { removePidFile, writePidFile } = await import(at('servers/pid-file.js'));
const { listenForShutdown } = await import(at('servers/signals.js'));

const [, , pidFile, mode] = process.argv;
if (!isDaemon()) {
  const { pid, error } = await startDaemon();
  if (error === null) process.stdout.write(`started ${pid}\n`);
  else process.stderr.write(`${error}\n`);
  process.exitCode = error === null ? 0 : 1;
} else if (mode === 'dead') {
  process.exit(3);
} else if (mode === 'bad') {
  daemonReady('Cannot listen: the port is taken');
  process.exit(1);
} else {
  const alive = setInterval(() => {}, 10_000);
  listenForShutdown({
    onSignal() {
      removePidFile(pidFile);
      clearInterval(alive);
      process.exit(0);
    },
  });
  writePidFile(pidFile);
  daemonReady();
}
