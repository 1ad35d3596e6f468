/** Where a run took place, for provenance. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { dirname, join } from 'node:path';
import type { MachineFacts } from '../result.ts';

/** Packages whose version can change a figure. */
const PACKAGES = ['ioredis', 'memjs', 'koffi', 'hdr-histogram-js', 'chart.js', 'chartjs-node-canvas', 'yaml', 'zod'];

/** Version of an installed package, or null. */
function packageVersion(name: string): string | null {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')) as { version: string }).version;
    } catch {
      // Not in this node_modules: the next one up.
    }
  }
  try {
    return (
      JSON.parse(readFileSync(join(dirname(require.resolve(name)), 'package.json'), 'utf8')) as { version: string }
    ).version;
  } catch {
    return null;
  }
}

export function machineFacts(): MachineFacts {
  const packages: Record<string, string> = {};
  for (const name of PACKAGES) {
    const version = packageVersion(name);
    if (version !== null) packages[name] = version;
  }
  const cpus = os.cpus();
  return {
    hostname: os.hostname(),
    platform: `${process.platform} ${process.arch}`,
    kernel: `${os.type()} ${os.release()}`,
    cpuModel: cpus[0]?.model.trim() || 'unknown',
    cpus: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    nodeVersion: process.version,
    v8Version: process.versions.v8,
    packages,
  };
}
