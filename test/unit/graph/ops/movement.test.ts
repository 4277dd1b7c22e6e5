import { checkOpCases } from '../../../check-op-cases.ts';
import { movementCases } from './cases/movement.ts';

checkOpCases('movement', movementCases);
