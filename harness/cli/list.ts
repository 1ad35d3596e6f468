/** `cachelab list`: the built-in scenarios, a line each. */
import type { CommandModule } from 'yargs';
import { builtInNames, loadScenario } from '../../scenarios/load.ts';
import { plannedSeconds } from '../../scenarios/schema.ts';
import type { ScenarioPlan } from '../../scenarios/spec.ts';

/** "18 cells, 8 min": how large a run is, with all of its targets. */
function extent(plan: ScenarioPlan): string {
  const seconds = plannedSeconds(plan, plan.cells[0].scenario.targets.length);
  const time = seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  return `${plan.cells.length} ${plan.cells.length === 1 ? 'cell' : 'cells'}, ${time}`;
}

export const listCommand: CommandModule = {
  command: 'list',
  describe: 'List the built-in scenarios, with the measuring time for all of their targets',
  handler: () => {
    const plans = builtInNames().map((name) => loadScenario(name));
    const nameWidth = Math.max(...plans.map((plan) => plan.name.length));
    const extentWidth = Math.max(...plans.map((plan) => extent(plan).length));
    for (const plan of plans) {
      const line = `${plan.name.padEnd(nameWidth)}  ${extent(plan).padEnd(extentWidth)}  ${plan.title}`;
      process.stdout.write(`${line}\n`);
    }
  },
};
