module example.com/herald-plus

go 1.26.0

require herald v0.0.0

replace herald => ../..
