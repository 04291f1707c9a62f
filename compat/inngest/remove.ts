import type { CellApi } from '../../core/ports.ts';
import type { AppRecord } from './apps.ts';
import { APPS } from './apps.ts';
import { groupOf } from './names.ts';

/** Takes an app away with its functions and crons. Runs that it has are the engine's affair. */
export async function removeApp(cell: CellApi, app: AppRecord): Promise<void> {
  await cell.apply([
    { type: 'unregister', group: groupOf(app.name) },
    { type: 'delete-record', collection: APPS, id: app.name },
  ]);
}
