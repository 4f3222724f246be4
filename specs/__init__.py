"""The zoo: one YAML file per family. A package only so that the files ship as data of netspec."""
