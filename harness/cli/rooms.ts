/** Rooms that are loaded only when a command needs them. */
import { entryUrl } from '../../engines/base/entry.ts';
import type * as Reports from '../../reports/index.ts';
import type { ScenarioPlan, TargetSpec } from '../../scenarios/spec.ts';

/** Chart.js and the canvas take a moment to load. */
export async function reports(): Promise<typeof Reports> {
  return import('../../reports/index.ts');
}

export interface ScenarioRoom {
  loadScenario(nameOrPath: string, options: { set: string[] }): ScenarioPlan;
  addTarget(plan: ScenarioPlan, target: TargetSpec): ScenarioPlan;
}

export async function scenarios(): Promise<ScenarioRoom> {
  return (await import(entryUrl(import.meta.url, '../../scenarios/load.ts').href)) as ScenarioRoom;
}
