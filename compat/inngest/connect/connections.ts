import type { RouteContext } from '../http.ts';
import { askGateway } from './ask.ts';

/** A worker that is connected at this moment, as the gateway tells it. */
export interface Connection {
  /** By the app's name. */
  apps: Record<string, { group: string; sync: string }>;
  /** 0: no bound. */
  maxConcurrency: number;
  lastHeartbeatMs: number;
  state: 'connected' | 'ready' | 'draining';
  /** ConnMetadata without its groups. */
  view: {
    id: string;
    gateway_id: string;
    instance_id: string;
    sdk_language: string;
    sdk_version: string;
    attributes: { cpu_cores: number; mem_bytes: number; os: string };
  };
}

export function connectionsOf(c: RouteContext): Promise<Connection[]> {
  return askGateway<Connection[]>(c, { type: 'connections' });
}
