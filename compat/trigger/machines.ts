import type { z } from 'zod';
import type { MachineNameSchema } from './schema.ts';

type MachineName = z.infer<typeof MachineNameSchema>;
export interface MachinePreset {
  name: MachineName;
  /** vCPU */
  cpu: number;
  /** GB */
  memory: number;
  centsPerMs: number;
}

/** trigger.dev: packages/core/src/v3/schemas (presets). A local worker uses only the memory, as a limit of its process. */
const SIZES: Record<MachineName, [cpu: number, memoryGb: number]> = {
  micro: [0.25, 0.25],
  'small-1x': [0.5, 0.5],
  'small-2x': [1, 1],
  'medium-1x': [1, 2],
  'medium-2x': [2, 4],
  'large-1x': [4, 8],
  'large-2x': [8, 16],
};
const DEFAULT_MACHINE: MachineName = 'small-1x';

export function machineOf(name: string | undefined): MachinePreset {
  const known = name !== undefined && Object.hasOwn(SIZES, name) ? (name as MachineName) : DEFAULT_MACHINE;
  const [cpu, memory] = SIZES[known];
  return { name: known, cpu, memory, centsPerMs: 0 };
}

/** A task may ask by preset or by size; the smallest preset that holds the size is taken. */
export function machineNameFor(config: { preset?: string; cpu?: number; memory?: number } | undefined): string {
  if (config?.preset !== undefined) return config.preset;
  if (config?.cpu === undefined && config?.memory === undefined) return DEFAULT_MACHINE;
  for (const [name, [cpu, memory]] of Object.entries(SIZES))
    if (cpu >= (config.cpu ?? 0) && memory >= (config.memory ?? 0)) return name;
  return 'large-2x';
}
