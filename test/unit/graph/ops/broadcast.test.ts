import { checkOpCases } from '../../../check-op-cases.ts';
import { broadcastCases } from './cases/broadcast.ts';

checkOpCases('broadcast', broadcastCases);
