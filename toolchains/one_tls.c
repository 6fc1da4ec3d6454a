// SPDX-License-Identifier: Apache-2.0
/*
 * Linked beside each of the two Mbed TLS libraries (HoldfastDeps.cmake): a program that brings in
 * both defines this twice, and does not link.
 */
extern const char holdfast_a_program_links_one_mbedtls;
const char holdfast_a_program_links_one_mbedtls = 1;
