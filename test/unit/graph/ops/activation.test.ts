import { checkOpCases } from '../../../check-op-cases.ts';
import { activationCases } from './cases/activation.ts';

checkOpCases('activation', activationCases);
